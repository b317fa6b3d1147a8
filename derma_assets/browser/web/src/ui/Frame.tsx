/** Framing: pan and zoom until the square holds what is to be judged. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import type { Manifest } from "../manifest";
import { startCrop, type Crop, type Engine, type OpenedPicture } from "../engine/types";
import { useLanguage } from "../i18n/language";
import type { Case, Cases } from "./cases";
import { allowed, moved, sideAt, smallestSide, zoomed, zoomLevel } from "./framing";
import { Problem } from "./Problem";
import { go } from "./route";
import { Screen } from "./Screen";
import { useGestures } from "./useGestures";
import { useStore } from "./useStore";

/** Side of the canvas in its own pixels, and how much of it lies around the square on each side. */
const CANVAS = 640;
const MARGIN = 40;

/** What one key press or click does: a share of the square's side, and a factor. */
const STEP = 0.05;
const ZOOM_STEP = 1.2;

interface Props {
  one: Case;
  engine: Engine;
  cases: Cases;
  manifest: Manifest;
}

export function Frame({ one, engine, cases, manifest }: Props) {
  const { texts, format } = useLanguage();
  const picture = useOpened(one, engine, cases);
  const [wish, setCrop] = useState<Crop | null>(one.crop);
  const [checking, setChecking] = useState(false);
  const ready = useStore(engine, ({ state }) => state.kind !== "loading");

  const smallest = picture ? smallestSide(picture, manifest.preprocessing.size) : 1;
  const crop = picture && (wish ?? startCrop(picture.width, picture.height));
  const change = useCallback(
    (next: Crop) => {
      if (picture) setCrop(allowed(next, picture, smallest));
    },
    [picture, smallest],
  );
  const check = async (): Promise<void> => {
    if (!picture || !crop) return;
    setChecking(true);
    await cases.judgeOpened(one, picture, crop);
    setChecking(false);
    if (!cases.find(one.id)?.problem) go({ screen: "result", id: one.id });
  };
  const toggle = (event: KeyboardEvent): void => {
    if (!crop || !picture) return;
    const step = crop.side * STEP;
    const keys: Record<string, () => Crop> = {
      ArrowLeft: () => moved(crop, -step, 0),
      ArrowRight: () => moved(crop, step, 0),
      ArrowUp: () => moved(crop, 0, -step),
      ArrowDown: () => moved(crop, 0, step),
      "+": () => zoomed(crop, ZOOM_STEP),
      "=": () => zoomed(crop, ZOOM_STEP),
      "-": () => zoomed(crop, 1 / ZOOM_STEP),
      "0": () => startCrop(picture.width, picture.height),
    };
    const next = keys[event.key];
    if (!next || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    change(next());
  };

  if (one.problem) {
    return (
      <Screen title={texts.frame.title}>
        <Problem problem={one.problem}>
          <a class="button primary" href="#/">
            {texts.frame.cancel}
          </a>
        </Problem>
      </Screen>
    );
  }
  return (
    <Screen title={texts.frame.title} lead={texts.frame.lead} className="frame">
      {!picture || !crop ? (
        <p role="status" class="opening">
          {texts.frame.opening}
        </p>
      ) : (
        <>
          <Viewport picture={picture} crop={crop} onChange={change} onKeyDown={toggle} label={texts.frame.area} />
          <p class="visually-hidden" role="status">
            {format.fill(texts.frame.position, { side: crop.side, left: crop.left, top: crop.top })}
          </p>
          <div class="zoom">
            <button type="button" class="button" aria-label={texts.frame.zoomOut} onClick={() => change(zoomed(crop, 1 / ZOOM_STEP))}>
              −
            </button>
            <input
              type="range"
              aria-label={texts.frame.zoom}
              min={0}
              max={1}
              step={0.01}
              value={zoomLevel(crop, picture, smallest)}
              onInput={(event) => change(zoomed(crop, crop.side / sideAt(Number(event.currentTarget.value), picture, smallest)))}
            />
            <button type="button" class="button" aria-label={texts.frame.zoomIn} onClick={() => change(zoomed(crop, ZOOM_STEP))}>
              +
            </button>
            <button type="button" class="button quiet" onClick={() => change(startCrop(picture.width, picture.height))}>
              {texts.frame.reset}
            </button>
          </div>
        </>
      )}
      <div class="row actions">
        <button type="button" id="analyse" class="button primary big" disabled={!picture || checking} onClick={() => void check()}>
          {checking ? (ready ? texts.frame.checking : texts.frame.waitingForModel) : texts.frame.check}
        </button>
        <a class="button quiet" href="#/">
          {texts.frame.cancel}
        </a>
      </div>
    </Screen>
  );
}

/** The picture of a case, decoded for as long as the screen is shown. */
function useOpened(one: Case, engine: Engine, cases: Cases): OpenedPicture | null {
  const [picture, setPicture] = useState<OpenedPicture | null>(null);
  useEffect(() => {
    let left = false;
    let opened: OpenedPicture | null = null;
    engine.open(one.file).then(
      (found) => {
        opened = found;
        if (left) engine.close(found);
        else setPicture(found);
      },
      (error: unknown) => cases.fail(one, error),
    );
    return () => {
      left = true;
      if (opened) engine.close(opened);
    };
  }, [one.id, engine]);
  return picture;
}

interface ViewportProps {
  picture: OpenedPicture;
  crop: Crop;
  label: string;
  onChange(crop: Crop): void;
  onKeyDown(event: KeyboardEvent): void;
}

/** The square with what lies around it, dimmed. */
function Viewport({ picture, crop, label, onChange, onKeyDown }: ViewportProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (canvas.current) drawViewport(canvas.current, picture, crop);
  }, [picture, crop]);
  const gestures = useGestures(canvas, crop, (CANVAS - 2 * MARGIN) / CANVAS, onChange);
  return (
    <canvas
      ref={canvas}
      class="viewport"
      width={CANVAS}
      height={CANVAS}
      tabIndex={0}
      role="application"
      aria-label={label}
      onKeyDown={onKeyDown}
      {...gestures}
    />
  );
}

function drawViewport(canvas: HTMLCanvasElement, picture: OpenedPicture, crop: Crop): void {
  const context = canvas.getContext("2d")!;
  const square = CANVAS - 2 * MARGIN;
  const scale = square / crop.side;
  const draw = (): void =>
    context.drawImage(
      picture.preview,
      MARGIN - crop.left * scale,
      MARGIN - crop.top * scale,
      picture.width * scale,
      picture.height * scale,
    );
  context.imageSmoothingQuality = "high";
  context.clearRect(0, 0, CANVAS, CANVAS);
  context.globalAlpha = 0.35;
  draw();
  context.globalAlpha = 1;
  context.save();
  context.beginPath();
  context.rect(MARGIN, MARGIN, square, square);
  context.clip();
  draw();
  context.restore();
  // White within black: visible on any skin.
  for (const [width, colour] of [[6, "black"], [3, "white"]] as const) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.strokeRect(MARGIN, MARGIN, square, square);
  }
}
