/** The time in milliseconds for which this process computed meanwhile, which a loaded machine doesn't stretch as it does the clock's. */
export function cpuTimeOf(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
