import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** What is measured, by the file of the build that it is in. */
const MODULES = {
  parseLabels: 'config/labels.js',
  createFileParser: 'config/file.js',
  EMPTY_ENVIRONMENT: 'config/environment.js',
  LabelInput: 'cli/label-input.js',
  collectViews: 'cli/status-content.js',
  buildStatusRows: 'status/status-rows.js',
  buildTable: 'table/build-table.js',
  diffTables: 'plan/diff-tables.js',
  EMPTY_TABLE: 'model/table.js',
  MISSING: 'model/running/observation.js',
  workloadKey: 'model/workload.js',
  systemClock: 'system/clock.js',
  Lifecycle: 'lifecycle/lifecycle.js',
  Reconciler: 'apply/reconciler.js',
  ListenerSet: 'apply/listener-set.js',
  ScheduleSet: 'apply/schedule-set.js',
  CronWindows: 'apply/cron-windows.js',
  AwakeWindows: 'apply/awake-windows.js',
};

/** Loads the parts of a build that is not bundled (`dist-dev/`) that the simulation runs, by name. */
export async function loadProduct(dist) {
  const parts = await Promise.all(
    Object.entries(MODULES).map(async ([name, file]) => {
      const module = await import(pathToFileURL(path.resolve(dist, file)).href);
      if (module[name] === undefined) throw new Error(`${file} exports no ${name}`);
      return [name, module[name]];
    }),
  );
  return Object.fromEntries(parts);
}
