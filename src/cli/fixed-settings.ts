import type { Settings } from '../model/settings.ts';

export const RESTART_MESSAGE =
  'status.listen, relay, udp_queue_total, docker.socket and all under kubernetes but its labels take effect at the next start';

/** Whether settings have changed that a running proxy keeps as they were. */
export function needsRestart(before: Settings, after: Settings): boolean {
  return JSON.stringify(pickFixed(before)) !== JSON.stringify(pickFixed(after));
}

function pickFixed({ status, relay, udpQueueTotalBytes, docker, kubernetes }: Settings) {
  const { labels: _labels, labelPrefix: _labelPrefix, ...fixed } = kubernetes;
  return [status, relay, udpQueueTotalBytes, docker.socket, fixed];
}
