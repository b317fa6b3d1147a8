/** The WebGPU back end with the kernels that the deployed graph uses; fetched only when it is to be tried. */

import "@tensorflow/tfjs-backend-webgpu/dist/base";
import { conv2DConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Conv2D";
import { fusedConv2DConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/FusedConv2D";
import { depthwiseConv2dNativeConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/DepthwiseConv2dNative";
import { fusedDepthwiseConv2DConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/FusedDepthwiseConv2D";
import { relu6Config } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Relu6";
import { padV2Config } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/PadV2";
import { identityConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Identity";
import { multiplyConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Multiply";
import { addConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Add";
import { subConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Sub";
import { meanConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Mean";
import { squaredDifferenceConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/SquaredDifference";
import { squareConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Square";
import { sumConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Sum";
import { reshapeConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Reshape";
import { castConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Cast";
import { _fusedMatMulConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/_FusedMatMul";
import { batchMatMulConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/BatchMatMul";
import { transposeConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Transpose";
import { sliceConfig } from "@tensorflow/tfjs-backend-webgpu/dist/kernels/Slice";
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
