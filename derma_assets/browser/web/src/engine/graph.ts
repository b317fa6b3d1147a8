/** The model's files as TF.js takes them, with quantised kernels expanded. */

import type { io } from "@tensorflow/tfjs-core";

import { EngineError } from "./types";

interface Node {
  name: string;
  op: string;
  input?: string[];
  attr?: Record<string, { type?: string; shape?: unknown }>;
}

interface Topology {
  modelTopology: { node: Node[] };
  weightsManifest: { paths: string[]; weights: io.WeightsManifestEntry[] }[];
  signature: { outputs: Record<string, { name: string }> };
  format: string;
}

export interface Graph {
  artifacts: io.ModelArtifacts;
  /** Name of the graph's node for each output. */
  outputs: Record<"logits" | "cams" | "unfamiliarity", string>;
}

/**
 * Return the graph of a TF.js graph model.
 *
 * @param topologyPath Path of `model.json` in the bundle.
 * @param files Content of the model's files by their paths in the bundle.
 */
export function readGraph(topologyPath: string, files: Map<string, ArrayBuffer>): Graph {
  const file = (path: string): ArrayBuffer => {
    const content = files.get(path);
    if (!content) throw new EngineError({ code: "file_missing", detail: path });
    return content;
  };
  const topology = JSON.parse(new TextDecoder().decode(file(topologyPath))) as Topology;
  const folder = topologyPath.replace(/[^/]*$/, "");
  const constants = new Map<string, Constant>();
  for (const group of topology.weightsManifest) {
    const bytes = joined(group.paths.map((path) => file(folder + path)));
    let offset = 0;
    for (const spec of group.weights) {
      const length = storedBytes(spec);
      constants.set(spec.name, readConstant(spec, bytes.slice(offset, offset + length)));
      offset += length;
    }
  }
  const nodes = foldScales(topology.modelTopology.node, constants);
  const specs = [...constants].map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
  const outputs = topology.signature.outputs;
  const name = (key: string): string => {
    const output = outputs[key];
    if (!output) throw new EngineError({ code: "unexpected", detail: `the model has no output ${key}` });
    return output.name;
  };
  return {
    artifacts: {
      modelTopology: { ...topology.modelTopology, node: nodes },
      signature: topology.signature,
      format: topology.format,
      weightSpecs: specs,
      weightData: [...constants.values()].map(({ values }) => values.buffer as ArrayBuffer),
    },
    outputs: { logits: name("logits"), cams: name("cams"), unfamiliarity: name("unfamiliarity") },
  };
}

interface Constant {
  shape: number[];
  dtype: "float32" | "int32" | "bool";
  values: Float32Array | Int32Array | Uint8Array;
}

/** Bytes of one element as it is stored. */
function elementBytes(spec: io.WeightsManifestEntry): number {
  const stored = spec.quantization?.dtype ?? spec.dtype;
  return { uint8: 1, bool: 1, uint16: 2, float16: 2, float32: 4, int32: 4 }[stored as "uint8"] ?? unknown(stored);
}

function storedBytes(spec: io.WeightsManifestEntry): number {
  return elementBytes(spec) * spec.shape.reduce((product, side) => product * side, 1);
}

/** What TF.js's `decodeWeights` does: integers times scale plus minimum, half floats widened. */
function readConstant(spec: io.WeightsManifestEntry, bytes: ArrayBuffer): Constant {
  const { shape, quantization } = spec;
  if (quantization?.dtype === "float16") return { shape, dtype: "float32", values: widened(new Uint16Array(bytes)) };
  if (quantization) {
    const { scale, min, dtype } = quantization as { scale: number; min: number; dtype: "uint8" | "uint16" };
    const stored = dtype === "uint8" ? new Uint8Array(bytes) : new Uint16Array(bytes);
    if (spec.dtype === "int32") {
      return { shape, dtype: "int32", values: Int32Array.from(stored, (value) => Math.round(value * scale + min)) };
    }
    return { shape, dtype: "float32", values: dequantised(stored, scale, min) };
  }
  if (spec.dtype === "float32") return { shape, dtype: "float32", values: new Float32Array(bytes) };
  if (spec.dtype === "int32") return { shape, dtype: "int32", values: new Int32Array(bytes) };
  if (spec.dtype === "bool") return { shape, dtype: "bool", values: new Uint8Array(bytes) };
  return unknown(spec.dtype);
}

// A loop: `Float32Array.from` with a function takes ten times as long, and millions of weights pass here at every start.
function dequantised(stored: Uint8Array | Uint16Array, scale: number, min: number): Float32Array {
  const values = new Float32Array(stored.length);
  for (let index = 0; index < values.length; index++) values[index] = stored[index]! * scale + min;
  return values;
}

function unknown(dtype: string): never {
  throw new EngineError({ code: "unexpected", detail: `the model holds weights of type ${dtype}` });
}

/** Half-precision floats to single precision, exactly. */
function widened(halves: Uint16Array): Float32Array {
  const table = halfTable();
  const values = new Float32Array(halves.length);
  for (let index = 0; index < values.length; index++) values[index] = table[halves[index]!]!;
  return values;
}

let halves: Float32Array | null = null;

function halfTable(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(1 << 16);
  for (let half = 0; half < halves.length; half++) {
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    const size =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 0x1f
          ? fraction
            ? NaN
            : Infinity
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    halves[half] = half & 0x8000 ? -size : size;
  }
  return halves;
}

/**
 * Replace every kernel times a scale per output channel by its value, and forget the factors that nothing else needs.
 *
 * Kernels quantised per output channel are stored as whole numbers and a scale per channel, to be multiplied in the
 * graph; done once here, it costs nothing in the runs.
 */
function foldScales(nodes: Node[], constants: Map<string, Constant>): Node[] {
  const folded = nodes.map((node) => {
    const [kernel, scale] = (node.input ?? []).map((name) => constants.get(name));
    const foldable = node.op === "Mul" && kernel?.dtype === "float32" && scale?.dtype === "float32";
    if (!foldable || !scalesLastAxis(scale, kernel)) return node;
    constants.set(node.name, scaled(kernel, scale));
    return { name: node.name, op: "Const", input: [], attr: node.attr ?? {} };
  });
  const used = new Set(folded.flatMap((node) => node.input ?? []));
  return folded.filter((node) => {
    if (node.op !== "Const" || used.has(node.name)) return true;
    constants.delete(node.name);
    return false;
  });
}

/** Whether `scale` has one number for each position of the last axis of `kernel`, and nothing else. */
function scalesLastAxis(scale: Constant, kernel: Constant): boolean {
  const last = kernel.shape.at(-1);
  return scale.values.length === last && scale.shape.at(-1) === last && scale.shape.length <= kernel.shape.length;
}

function scaled(kernel: Constant, scale: Constant): Constant {
  const values = new Float32Array(kernel.values.length);
  const channels = scale.values.length;
  for (let start = 0; start < values.length; start += channels) {
    for (let channel = 0; channel < channels; channel++) {
      values[start + channel] = kernel.values[start + channel]! * scale.values[channel]!;
    }
  }
  return { shape: kernel.shape, dtype: "float32", values };
}

function joined(parts: ArrayBuffer[]): ArrayBuffer {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(new Uint8Array(part), offset);
    offset += part.byteLength;
  }
  return whole.buffer;
}
