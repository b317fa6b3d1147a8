/** The WebGL back end with the kernels that the deployed graph uses; fetched only when it is to be tried. */

import "@tensorflow/tfjs-backend-webgl/dist/base";
import { conv2DConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Conv2D";
import { fusedConv2DConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/FusedConv2D";
import { depthwiseConv2dNativeConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/DepthwiseConv2dNative";
import { fusedDepthwiseConv2DConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/FusedDepthwiseConv2D";
import { relu6Config } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Relu6";
import { padV2Config } from "@tensorflow/tfjs-backend-webgl/dist/kernels/PadV2";
import { identityConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Identity";
import { multiplyConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Multiply";
import { addConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Add";
import { subConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Sub";
import { meanConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Mean";
import { squaredDifferenceConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/SquaredDifference";
import { squareConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Square";
import { sumConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Sum";
import { reshapeConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Reshape";
import { castConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Cast";
import { _fusedMatMulConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/_FusedMatMul";
import { batchMatMulConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/BatchMatMul";
import { transposeConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Transpose";
import { sliceConfig } from "@tensorflow/tfjs-backend-webgl/dist/kernels/Slice";
import { registerKernel, type KernelConfig } from "@tensorflow/tfjs-core";

const KERNELS = [
  conv2DConfig,
  fusedConv2DConfig,
  depthwiseConv2dNativeConfig,
  fusedDepthwiseConv2DConfig,
  relu6Config,
  padV2Config,
  identityConfig,
  multiplyConfig,
  addConfig,
  subConfig,
  meanConfig,
  squareConfig,
  squaredDifferenceConfig,
  sumConfig,
  reshapeConfig,
  castConfig,
  _fusedMatMulConfig,
  batchMatMulConfig,
  transposeConfig,
  sliceConfig,
];

for (const kernel of KERNELS) registerKernel(kernel as KernelConfig);
