/** Saving what the page made as a file; it never leaves the device otherwise. */

export function download(name: string, type: string, content: string): void {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser reads the content after the click returns.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** The present second in a form that sorts and that every file system takes. */
export function stamp(date = new Date()): string {
  return date.toISOString().slice(0, 19).replaceAll(":", "-");
}
