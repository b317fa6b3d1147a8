/** Figures of repeated measurements. */

export interface Summary {
  mean: number;
  min: number;
  max: number;
  /** Of the sample: n - 1 in the denominator. */
  sd: number;
}

/** Return the figures of at least two measurements. */
export function summary(values: readonly number[]): Summary {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, min: Math.min(...values), max: Math.max(...values), sd: Math.sqrt(squares / (values.length - 1)) };
}
