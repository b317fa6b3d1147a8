/** Which screen is shown: it stands in the address, so the browser's back button works and nothing leaves the device. */

import { useEffect, useState } from "preact/hooks";

export type Route =
  | { screen: "home" | "batch" | "history" | "about" | "settings" }
  | { screen: "frame" | "result"; id: number };

const PLAIN = ["batch", "history", "about", "settings"] as const;

export function addressOf(route: Route): string {
  if (route.screen === "home") return "#/";
  return "id" in route ? `#/${route.screen}/${route.id}` : `#/${route.screen}`;
}

export function routeOf(address: string): Route {
  const [screen, id] = address.replace(/^#\//, "").split("/");
  const plain = PLAIN.find((one) => one === screen);
  if (plain) return { screen: plain };
  if ((screen === "frame" || screen === "result") && /^\d+$/.test(id ?? "")) return { screen, id: Number(id) };
  return { screen: "home" };
}

/** Go to a screen; `replacing` leaves no step back to the present one. */
export function go(route: Route, replacing = false): void {
  if (replacing) location.replace(addressOf(route));
  else location.hash = addressOf(route);
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const follow = (): void => setRoute(routeOf(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}
