/** A report as one file that can be mailed, archived and printed: pictures inside, no script, nothing from elsewhere. */

const STYLE = `
  body { font: 11pt/1.4 system-ui, sans-serif; color: #111; background: #fff; max-width: 180mm; margin: 8mm auto; }
  h1 { font-size: 16pt; margin: 0; } h2 { font-size: 12pt; margin: 4mm 0 1mm; }
  table { border-collapse: collapse; width: 100%; } th, td { border-bottom: 1px solid #999; padding: 1mm 2mm; text-align: left; }
  td.number, th.number { text-align: right; } img { width: 80mm; height: 80mm; } .report-pictures { display: flex; gap: 6mm; }
  figure { margin: 0; } .report-verdict { border: 2px solid #111; padding: 2mm 4mm; font-size: 14pt; font-weight: bold; }
  .notice { font-weight: bold; } dl { display: grid; grid-template-columns: auto 1fr; gap: 0 4mm; } dt { color: #444; } dd { margin: 0; }
`;

/**
 * Return a document that shows a report as it stands on the page.
 *
 * @param sheet The report's element; its canvases become pictures.
 */
export function reportHtml(sheet: HTMLElement, title: string, language: string): string {
  const copy = sheet.cloneNode(true) as HTMLElement;
  const originals = sheet.querySelectorAll("canvas");
  copy.querySelectorAll("canvas").forEach((canvas, index) => {
    const picture = document.createElement("img");
    picture.src = originals[index]!.toDataURL("image/jpeg", 0.9);
    picture.alt = canvas.getAttribute("aria-label") ?? "";
    canvas.replaceWith(picture);
  });
  // Built as a document and then written out, so that whatever a person typed is escaped.
  const page = document.implementation.createHTMLDocument(title);
  page.documentElement.lang = language;
  const policy = page.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
  const charset = page.createElement("meta");
  charset.setAttribute("charset", "utf-8");
  const style = page.createElement("style");
  style.textContent = STYLE;
  page.head.prepend(charset, policy);
  page.head.append(style);
  page.body.append(...copy.childNodes);
  return `<!doctype html>\n${page.documentElement.outerHTML}\n`;
}
