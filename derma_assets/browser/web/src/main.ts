/** The page: wires the file picker to preprocessing, model and findings, and shows what comes out. */

import { findings, type Findings } from "./findings";
import { draw, evidence } from "./heatmap";
import { loadManifest, type Manifest } from "./manifest";
import { Model, type Prediction } from "./model";
import { decodeSquare, toTensor, type Square } from "./preprocess";

/**
 * What `window.derma` offers to tests and to the parity check: the very functions that the page itself uses.
 *
 * - `ready` resolves when the model is loaded, and rejects with what is wrong.
 * - `preprocess(file)` gives the tensor of a picture, (size, size, 3) float32 RGB 0..255 flattened.
 * - `predictTensor(pixels)` runs n such tensors and gives logits, class activation maps and their grid.
 * - `analyse(file)` gives what the page would show, without showing it.
 */
interface TestInterface {
  ready: Promise<void>;
  manifest(): Manifest;
  preprocess(file: Blob): Promise<Float32Array>;
  predictTensor(pixels: Float32Array): Prediction;
  analyse(file: Blob): Promise<Findings>;
}

declare global {
  interface Window {
    derma: TestInterface;
  }
}

let manifest: Manifest;
let model: Model;
let shown: { square: OffscreenCanvas | HTMLCanvasElement; prediction: Prediction; findings: Findings; index: number };
let latest = 0;

function element<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  return document.getElementById(id) as Kind;
}

function showProblem(error: unknown): void {
  element("problem").textContent = error instanceof Error ? error.message : String(error);
  element("problem").hidden = false;
}

async function start(): Promise<void> {
  try {
    manifest = await loadManifest();
    showAbout();
    model = await Model.load(manifest, (share) => {
      element<HTMLProgressElement>("progress").value = share;
      element("progress-text").textContent = `Loading the model… ${Math.round(share * 100)} %`;
    });
    element("choose").hidden = false;
  } catch (error) {
    showProblem(error);
    throw error;
  } finally {
    element("loading").hidden = true;
  }
}

function showAbout(): void {
  document.title = manifest.title;
  element("disclaimer").textContent = manifest.disclaimer;
  element("synthetic").textContent = manifest.dataset.notice;
  element("synthetic").hidden = !manifest.dataset.synthetic;
  const about = element("about");
  const row = (term: string, text: string): void => {
    const name = document.createElement("dt");
    name.textContent = term;
    const value = document.createElement("dd");
    value.textContent = text;
    about.append(name, value);
  };
  row("Trained on", manifest.dataset.name);
  row("Licence", manifest.dataset.licence);
  row("Weights", manifest.model.variant);
  row("Temperature", manifest.temperature.toFixed(3));
  for (const { metric, value, low, high } of manifest.metrics.overall) {
    const interval = low === null || high === null ? "" : ` (${low.toFixed(3)} to ${high.toFixed(3)})`;
    if (value !== null) row(metric.replaceAll("_", " "), value.toFixed(3) + interval);
  }
  for (const [name, version] of Object.entries(manifest.versions.code)) row(`Version of ${name}`, version);
  for (const [name, version] of Object.entries(manifest.versions.data)) row(`Data version of ${name}`, version);
}

async function choose(file: Blob): Promise<void> {
  const turn = ++latest;
  element("problem").hidden = true;
  try {
    const square = await decodeSquare(file);
    // Let the browser paint before the model takes the thread.
    await new Promise((resolve) => setTimeout(resolve));
    // A picture chosen meanwhile wins, whichever was decoded first.
    if (turn !== latest) return;
    const prediction = model.predict(toTensor(square, manifest.preprocessing.size));
    const found = findings(prediction.logits, manifest);
    shown = { square: asCanvas(square), prediction, findings: found, index: found.top[0]!.index };
    showFindings();
  } catch (error) {
    if (turn !== latest) return;
    // The last picture's findings must not stand beside another picture's failure.
    element("result").hidden = true;
    showProblem(error);
  }
}

function asCanvas(square: Square): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = square.side;
  canvas
    .getContext("2d")!
    .putImageData(new ImageData(square.rgba as Uint8ClampedArray<ArrayBuffer>, square.side, square.side), 0, 0);
  return canvas;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function showFindings(): void {
  const { refer, rules, top } = shown.findings;
  element("verdict").className = refer ? "verdict refer" : "verdict";
  element("verdict-text").textContent = refer ? "Refer" : "Do not refer";
  const reached = rules.filter((rule) => rule.reached).map((rule) => rule.point.name);
  element("verdict-why").textContent = refer
    ? `At or above the threshold: ${reached.join(", ")}.`
    : "Below every threshold. Clinical suspicion always outweighs this result.";

  element("diagnoses").replaceChildren(...top.map((ranked) => diagnosisItem(ranked.index)));
  element("points")
    .querySelector("tbody")!
    .replaceChildren(
      ...rules.map((rule) => {
        const row = document.createElement("tr");
        for (const text of [rule.point.name, percent(rule.score), percent(rule.point.threshold)]) {
          row.append(Object.assign(document.createElement("td"), { textContent: text }));
        }
        row.append(Object.assign(document.createElement("td"), { textContent: rule.reached ? "reached" : "below" }));
        return row;
      }),
    );
  element("result").hidden = false;
  showPicture();
}

function diagnosisItem(index: number): HTMLLIElement {
  const label = manifest.labels[index]!;
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset["code"] = label.code;
  button.style.setProperty("--colour", label.colour);
  button.style.setProperty("--share", percent(shown.findings.probabilities[index]!).replace(" ", ""));
  const name = Object.assign(document.createElement("span"), { className: "name", textContent: label.name });
  const kind = Object.assign(document.createElement("small"), { textContent: label.malignant ? "malignant" : "benign" });
  const probability = Object.assign(document.createElement("span"), {
    className: "probability",
    textContent: percent(shown.findings.probabilities[index]!),
  });
  const bar = Object.assign(document.createElement("span"), { className: "bar" });
  button.append(name, kind, probability, bar);
  button.addEventListener("click", () => {
    shown.index = index;
    showPicture();
  });
  item.append(button);
  return item;
}

function showPicture(): void {
  const label = manifest.labels[shown.index]!;
  const wanted = element<HTMLInputElement>("heat").checked;
  const map = wanted ? evidence(shown.prediction, manifest.labels.length, shown.index) : null;
  const canvas = element<HTMLCanvasElement>("picture");
  draw(canvas, shown.square, map, shown.prediction.grid);
  canvas.setAttribute("aria-label", wanted ? `Picture with the evidence for ${label.name}` : "Picture");
  element("heat-of").textContent = wanted ? `evidence for: ${label.name}` : "";
  for (const button of element("diagnoses").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset["code"] === label.code));
  }
}

element<HTMLInputElement>("file").addEventListener("change", (event) => {
  const input = event.target as HTMLInputElement;
  const file = input.files?.[0];
  if (file) void choose(file);
  input.value = ""; // So that the same file can be chosen again.
});
element("heat").addEventListener("change", showPicture);
for (const kind of ["dragover", "drop"]) {
  // On the whole document: a picture dropped beside the field must not make the browser leave the page.
  document.addEventListener(kind, (event) => event.preventDefault());
}
document.addEventListener("drop", (event) => {
  const file = event.dataTransfer?.files[0];
  if (file && model) void choose(file);
});

const started = start();
started.catch(() => undefined); // Shown on the page already.
window.derma = {
  ready: started,
  manifest: () => manifest,
  preprocess: async (file) => toTensor(await decodeSquare(file), manifest.preprocessing.size),
  predictTensor: (pixels) => model.predict(pixels),
  analyse: async (file) => {
    const tensor = toTensor(await decodeSquare(file), manifest.preprocessing.size);
    return findings(model.predict(tensor).logits, manifest);
  },
};
