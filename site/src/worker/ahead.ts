// Compiles the kernels that Python will ask for (listed by site/ahead.py) while it starts, on the device
// that it will get: the browser does not compile them again.

/** One pipeline that Python will ask for. */
export interface Ahead {
  label: string;
  code: string;
  entries: GPUBindGroupLayoutEntry[];
}

const CLOCK = "timestamp-query"; // what clock.py asks for, where an adapter has it
const kept: GPUComputePipeline[] = []; // lest the browser lets go of them before Python has them

/** Opens the device that Python will, and compiles for it. Rejects where that cannot be. */
export async function compileAhead(
  kernels: Ahead[],
  progress: (done: number, total: number) => void,
): Promise<void> {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return;
  const requiredFeatures: GPUFeatureName[] = adapter.features.has(CLOCK) ? [CLOCK] : [];
  const asked = { requiredFeatures, requiredLimits: limitsOf(adapter) };
  const device = await adapter.requestDevice(asked);
  handOver(adapter, device, asked);
  const pipelines = kernels.map(async ({ label, code, entries }) => {
    const bindGroupLayouts = [device.createBindGroupLayout({ entries })];
    const layout = device.createPipelineLayout({ bindGroupLayouts });
    const module = device.createShaderModule({ label, code });
    const compute = { module, entryPoint: "main" };
    kept.push(await device.createComputePipelineAsync({ layout, compute }));
    progress(kept.length, kernels.length);
  });
  await Promise.all(pipelines);
}

type Asked = Required<Pick<GPUDeviceDescriptor, "requiredFeatures" | "requiredLimits">>;

/** Lets who next asks for an adapter have this one, and for such a device of it that one: once. */
function handOver(adapter: GPUAdapter, device: GPUDevice, asked: Asked): void {
  const gpu: { requestAdapter?: GPU["requestAdapter"] } = navigator.gpu;
  gpu.requestAdapter = async () => {
    delete gpu.requestAdapter; // what is below it, the browser's own, is there again
    return adapter;
  };
  const own: { requestDevice?: GPUAdapter["requestDevice"] } = adapter;
  own.requestDevice = async (other) => {
    delete own.requestDevice;
    if (isSame(asked, other)) return device;
    const unused = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
    return unused!.requestDevice(other);
  };
}

function isSame(asked: Asked, other: GPUDeviceDescriptor = {}): boolean {
  const features = [...(other.requiredFeatures ?? [])];
  const limits = Object.entries(asked.requiredLimits);
  return (
    String(features) === String(asked.requiredFeatures) &&
    limits.every(([name, most]) => other.requiredLimits?.[name] === most)
  );
}

function limitsOf({ limits }: GPUAdapter): Record<string, number> {
  const found: Record<string, number> = {};
  for (const name in limits) {
    const value = limits[name as keyof GPUSupportedLimits];
    if (typeof value === "number") found[name] = value;
  }
  return found;
}
