/** Pictures that are dropped anywhere on the page, or pasted. */

import { useEffect } from "preact/hooks";

export function useIncomingFiles(onFiles: (files: File[]) => void): void {
  useEffect(() => {
    // A picture dropped beside a field must not make the browser leave the page for it.
    const allow = (event: DragEvent): void => event.preventDefault();
    const dropped = (event: DragEvent): void => {
      event.preventDefault();
      take(event.dataTransfer);
    };
    const pasted = (event: ClipboardEvent): void => take(event.clipboardData);
    const take = (data: DataTransfer | null): void => {
      const files = [...(data?.files ?? [])];
      if (files.length) onFiles(files);
    };
    document.addEventListener("dragover", allow);
    document.addEventListener("drop", dropped);
    document.addEventListener("paste", pasted);
    return () => {
      document.removeEventListener("dragover", allow);
      document.removeEventListener("drop", dropped);
      document.removeEventListener("paste", pasted);
    };
  }, [onFiles]);
}
