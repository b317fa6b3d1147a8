/** Following something outside of Preact that tells when it changed. */

import { useEffect, useState } from "preact/hooks";

interface Store {
  subscribe(listener: () => void): () => void;
}

/** Return what `read` gives, again after every change of `store`. */
export function useStore<S extends Store, Value>(store: S, read: (store: S) => Value): Value {
  const [, redraw] = useState(0);
  useEffect(() => {
    // What changed between drawing and subscribing would be missed.
    redraw((count) => count + 1);
    return store.subscribe(() => redraw((count) => count + 1));
  }, [store]);
  return read(store);
}
