/** A made-up photograph to measure the device with: as large as HAM10000's, and nobody's skin. */

const WIDTH = 600;
const HEIGHT = 450;

export async function syntheticPhotograph(): Promise<Blob> {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  const context = canvas.getContext("2d")!;
  context.fillStyle = "rgb(222, 170, 145)";
  context.fillRect(0, 0, WIDTH, HEIGHT);
  const lesion = context.createRadialGradient(WIDTH / 2, HEIGHT / 2, 20, WIDTH / 2, HEIGHT / 2, 130);
  lesion.addColorStop(0, "rgb(70, 40, 35)");
  lesion.addColorStop(0.8, "rgb(120, 75, 60)");
  lesion.addColorStop(1, "rgba(222, 170, 145, 0)");
  context.fillStyle = lesion;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture could be made"))), "image/jpeg", 0.92);
  });
}
