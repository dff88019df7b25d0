import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** What is measured, by the module that it is in. */
const MODULES = {
  parseLabels: 'config/labels',
  createFileParser: 'config/file',
  EMPTY_ENVIRONMENT: 'config/environment',
  collectViews: 'proxy/status-content',
  buildStatusRows: 'status/status-rows',
  buildTable: 'table/build-table',
  diffTables: 'plan/diff-tables',
  EMPTY_TABLE: 'model/table',
  MISSING: 'model/running/observation',
  workloadKey: 'model/workload',
  systemClock: 'system/clock',
  Lifecycle: 'lifecycle/lifecycle',
  Reconciler: 'apply/reconciler',
  Doors: 'apply/doors',
  ListenerSet: 'apply/listener-set',
  ScheduleSet: 'apply/schedule-set',
  CronWindows: 'apply/cron-windows',
  AwakeWindows: 'apply/awake-windows',
};

/**
 * Loads the parts that the simulation runs, by name, from a build that is not bundled (`dist-dev/`).
 * @param extension of its files; where it is `.ts`, the folder may be the source.
 */
export async function loadProduct(folder, extension = '.js') {
  const parts = await Promise.all(
    Object.entries(MODULES).map(async ([name, file]) => {
      const module = await import(pathToFileURL(path.resolve(folder, `${file}${extension}`)).href);
      if (module[name] === undefined) throw new Error(`${file} exports no ${name}`);
      return [name, module[name]];
    }),
  );
  return Object.fromEntries(parts);
}
