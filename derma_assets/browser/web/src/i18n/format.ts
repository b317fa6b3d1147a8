/** Numbers, dates and sentences as the reader's language writes them. */

import type { Plural } from "./types";

const DATE: Intl.DateTimeFormatOptions = {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
};

/** Probabilities closer to 0 or 1 than this are not told apart. */
const SMALLEST_SHARE = 0.001;

export interface ShareWords {
  lessThan: string;
  moreThan: string;
}

export class Format {
  /** @param locales The reader's language, and what it is written like where the browser does not know it. */
  constructor(
    private readonly locales: string[],
    private readonly words: ShareWords,
  ) {}

  /** Put values into a sentence's `{names}`. */
  fill(sentence: string, values: Record<string, string | number>): string {
    return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  }

  /** The form of a sentence for a number, which stands for `{count}`. */
  plural(forms: Plural, count: number, values: Record<string, string | number> = {}): string {
    const category = new Intl.PluralRules(this.locales).select(count) as keyof Plural;
    return this.fill(forms[category] ?? forms.other, { ...values, count: this.number(count, 0) });
  }

  /** A number with so many decimals. */
  number(value: number, decimals: number): string {
    return value.toLocaleString(this.locales, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  }

  /** A share of one as a percentage with one decimal; the ends of the scale are never claimed. */
  share(share: number): string {
    if (share < SMALLEST_SHARE) return this.fill(this.words.lessThan, { value: this.percent(SMALLEST_SHARE, 1) });
    if (share > 1 - SMALLEST_SHARE) return this.fill(this.words.moreThan, { value: this.percent(1 - SMALLEST_SHARE, 1) });
    return this.percent(share, 1);
  }

  /** A share of one as a percentage. */
  percent(share: number, decimals: number): string {
    return share.toLocaleString(this.locales, {
      style: "percent",
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
    });
  }

  megabytes(bytes: number): string {
    return (bytes / 1e6).toLocaleString(this.locales, { style: "unit", unit: "megabyte", maximumFractionDigits: 1, minimumFractionDigits: 1 });
  }

  milliseconds(value: number): string {
    return value.toLocaleString(this.locales, { style: "unit", unit: "millisecond", maximumFractionDigits: 0 });
  }

  dateTime(date: Date): string {
    return date.toLocaleString(this.locales, DATE);
  }
}
