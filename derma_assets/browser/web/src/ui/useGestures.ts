/** Moving the square with a finger, two fingers, a mouse and its wheel. */

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { Crop } from "../engine/types";
import { moved, zoomed } from "./framing";

interface Point {
  x: number;
  y: number;
}

/** What the hand began with; every step is computed from it, so that rounding does not add up. */
interface Gesture {
  crop: Crop;
  centre: Point;
  spread: number;
}

const WHEEL_FACTOR = 1.0015;

/**
 * Return handlers of pointer events for the element that shows the square.
 *
 * @param share Which part of the element's width the square takes.
 */
export function useGestures(
  element: RefObject<HTMLElement | null>,
  crop: Crop,
  share: number,
  onChange: (crop: Crop) => void,
): Record<"onPointerDown" | "onPointerMove" | "onPointerUp" | "onPointerCancel", (event: PointerEvent) => void> {
  const pointers = useRef(new Map<number, Point>());
  const gesture = useRef<Gesture | null>(null);
  const latest = useRef(crop);
  latest.current = crop;

  const begin = (): void => {
    gesture.current = pointers.current.size ? { crop: latest.current, ...shapeOf(pointers.current) } : null;
  };
  useEffect(() => {
    const target = element.current;
    const wheel = (event: WheelEvent): void => {
      event.preventDefault();
      const { x, y } = within(target!, event, share);
      onChange(zoomed(latest.current, WHEEL_FACTOR ** -event.deltaY, x, y));
    };
    // Not as a property: the browser would take it as passive, and scroll.
    target?.addEventListener("wheel", wheel, { passive: false });
    return () => target?.removeEventListener("wheel", wheel);
  }, [element, onChange]);

  return {
    onPointerDown(event) {
      element.current?.setPointerCapture(event.pointerId);
      pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
      begin();
    },
    onPointerMove(event) {
      if (!pointers.current.has(event.pointerId) || !gesture.current || !element.current) return;
      pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
      const { crop: from, centre, spread } = gesture.current;
      const now = shapeOf(pointers.current);
      const { x, y } = within(element.current, { clientX: centre.x, clientY: centre.y }, share);
      const larger = zoomed(from, spread > 0 ? now.spread / spread : 1, x, y);
      const perPixel = larger.side / (element.current.clientWidth * share);
      onChange(moved(larger, (centre.x - now.centre.x) * perPixel, (centre.y - now.centre.y) * perPixel));
    },
    onPointerUp(event) {
      pointers.current.delete(event.pointerId);
      begin();
    },
    onPointerCancel(event) {
      pointers.current.delete(event.pointerId);
      begin();
    },
  };
}

function shapeOf(pointers: Map<number, Point>): { centre: Point; spread: number } {
  const points = [...pointers.values()];
  const mean = (of: (point: Point) => number): number => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const centre = { x: mean((point) => point.x), y: mean((point) => point.y) };
  return { centre, spread: points.length > 1 ? mean((point) => Math.hypot(point.x - centre.x, point.y - centre.y)) : 0 };
}

/** Where in the square a point of the screen lies: 0..1 from its left and its top. */
function within(element: HTMLElement, at: { clientX: number; clientY: number }, share: number): Point {
  const box = element.getBoundingClientRect();
  const inside = (from: number, size: number): number => (from / size - (1 - share) / 2) / share;
  return { x: inside(at.clientX - box.left, box.width), y: inside(at.clientY - box.top, box.height) };
}
