/** What is measured: names, units, and the budget that lazy-proxy has to keep. Pure data. */

/** Those whose figures the others are compared with. */
export const REFERENCES = [
  { peer: 'nginx', label: 'nginx stream' },
  { peer: 'go', label: 'Go relay' },
  { peer: 'nginx-http', label: 'nginx' },
  { peer: 'go-http', label: 'Go ReverseProxy' },
];

/** Our own, which the budget is for. */
export const PRODUCT = 'lazy';

const HIGHER = { better: 'higher' };
const LOWER = { better: 'lower' };

/** In the order in which they are shown; `inChart`: it is drawn; `isAbsolute`: ratios would say nothing. */
export const METRICS = [
  ...[1, 8].flatMap((streams) => {
    const what = streams === 1 ? '1 stream' : `${streams} streams`;
    const budget = { than: 'go' };
    return [
      {
        ...{
          id: `throughput-${streams}`,
          part: 'bulk',
          label: `throughput, ${what}`,
          unit: 'Gbit/s',
          ...HIGHER,
        },
        ...{ budget: { ...budget, min: 1 }, inChart: true },
      },
      {
        ...{ id: `cpu-${streams}`, part: 'bulk', label: `processor time, ${what}`, unit: 's/GB', ...LOWER },
        ...{ budget: { ...budget, max: 1 }, inChart: true },
      },
    ];
  }),
  {
    ...{ id: 'connections', part: 'connections', label: 'new connections', unit: 'per s', ...HIGHER },
    ...{ budget: { than: 'nginx', min: 0.5 }, inChart: true },
  },
  ...[32, 1].flatMap((clients) => requestMetrics(clients)),
  ...webMetrics(),
  ...[64, 512].map((bytes) => ({
    ...{
      id: `datagrams-${bytes}`,
      part: 'udp',
      label: `datagrams of ${bytes} bytes`,
      unit: 'per s',
      ...HIGHER,
    },
    ...{ budget: { than: 'nginx', min: 1 }, inChart: true },
  })),
  {
    ...{ id: 'wake-overhead', part: 'wake', label: 'added to a cold start', unit: 'ms', ...LOWER },
    budget: { max: 15 },
  },
  { id: 'wake-time', part: 'wake', label: 'cold start to the first byte', unit: 'ms', ...LOWER },
  ...[1, 100].flatMap((services) => idleMetrics(services)),
  { id: 'memory-after-bulk', part: 'idle', label: 'memory 10 s after bulk', unit: 'MiB', ...LOWER },
  {
    ...{ id: 'held-memory', part: 'held', label: 'memory per idle connection', unit: 'KiB', ...LOWER },
    ...{ budget: { max: 20 }, inChart: true },
  },
  {
    ...{ id: 'held-answered', part: 'held', label: 'idle connections still answered', unit: '%', ...HIGHER },
    ...{ budget: { min: 100 }, isAbsolute: true },
  },
];

function requestMetrics(clients) {
  const what = clients === 1 ? '1 client' : `${clients} clients`;
  const part = 'requests';
  return [
    {
      id: `requests-${clients}`,
      part,
      label: `requests, ${what}`,
      unit: 'per s',
      ...HIGHER,
      inChart: clients > 1,
    },
    {
      ...{
        id: `latency-p50-${clients}`,
        part,
        label: `latency p50, ${what}`,
        unit: 'µs',
        ...LOWER,
        inChart: true,
      },
      budget: { than: 'nginx', max: 1.2 },
    },
    { id: `latency-p99-${clients}`, part, label: `latency p99, ${what}`, unit: 'µs', ...LOWER },
  ];
}

function webMetrics() {
  const part = 'http';
  const than = 'go-http';
  return [
    {
      ...{ id: 'http-requests', part, label: 'requests, 32 clients', unit: 'per s', ...HIGHER },
      budget: { than, min: 1 },
    },
    { id: 'http-p50', part, label: 'latency p50, 32 clients', unit: 'µs', ...LOWER },
    {
      ...{ id: 'http-p99', part, label: 'latency p99, 32 clients', unit: 'µs', ...LOWER },
      budget: { than, max: 2 },
    },
    {
      ...{ id: 'http-request-cpu', part, label: 'processor time, 1 request', unit: 'µs', ...LOWER },
      // The requests per second vary more from one run to the next.
      budget: { than, max: 1.2 },
    },
    {
      ...{ id: 'http-body', part, label: 'a body of 1 GB', unit: 'MB/s', ...HIGHER },
      budget: { than, min: 0.35 },
    },
    { id: 'http-body-cpu', part, label: 'processor time, 1 GB', unit: 's', ...LOWER },
    {
      ...{ id: 'http-idle-client', part, label: 'memory per idle client', unit: 'KiB', ...LOWER },
      budget: { max: 25 },
    },
    {
      ...{ id: 'http-memory', part, label: 'memory 60 s after load, more', unit: 'MiB', ...LOWER },
      ...{ budget: { max: 60 }, isAbsolute: true },
    },
  ];
}

function idleMetrics(services) {
  const what = services === 1 ? '1 service' : `${services} services`;
  const part = 'idle';
  const [memory, still] = services === 100 ? [{ max: 24 }, { max: 0.1 }] : [];
  return [
    {
      ...{ id: `memory-${services}`, part, label: `memory, ${what}`, unit: 'MiB', ...LOWER },
      ...(memory && { budget: memory }),
    },
    {
      ...{
        id: `wakeups-${services}`,
        part,
        label: `threads waking up, ${what}`,
        unit: 'per s',
        ...LOWER,
        isAbsolute: true,
      },
      ...(still && { budget: still }),
    },
    {
      id: `idle-cpu-${services}`,
      part,
      label: `processor time, ${what}`,
      unit: 'ms/min',
      ...LOWER,
      isAbsolute: true,
    },
  ];
}
