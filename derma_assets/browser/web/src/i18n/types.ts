/** The parts that texts are made of. */

/** A sentence that depends on a number: one form for each of the language's categories, `other` for the rest. */
export interface Plural {
  one: string;
  few?: string;
  many?: string;
  other: string;
}

/** What a diagnosis is, what is usually done, and who says so. */
export interface Description {
  about: string;
  advice: string;
  source: string;
}
