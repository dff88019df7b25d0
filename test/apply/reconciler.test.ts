import { beforeEach, describe, expect, test } from 'vitest';
import type { AwakeWindows } from '../../src/apply/awake-windows.ts';
import type { CronWindows } from '../../src/apply/cron-windows.ts';
import type { ListenerSet } from '../../src/apply/listener-set.ts';
import { Reconciler } from '../../src/apply/reconciler.ts';
import type { ScheduleSet } from '../../src/apply/schedule-set.ts';
import type { Lifecycle } from '../../src/lifecycle/lifecycle.ts';
import { type ListenerSpec, listenKey, type Service } from '../../src/model/service.ts';
import { EMPTY_TABLE } from '../../src/model/table.ts';
import { aListener, aService, aTable, labelsOf, tableOf } from '../support/builders.ts';

describe('Reconciler', () => {
  let calls: string[];
  let reconciler: Reconciler;

  beforeEach(() => {
    calls = [];
    const lifecycle = {
      add: ({ name }: Service) => calls.push(`add ${name}`),
      update: ({ name }: Service, previous: Service) => calls.push(`update ${name} from ${previous.name}`),
      remove: ({ name }: Service) => calls.push(`remove ${name}`),
      unlinkServices: () => calls.push('unlink'),
      linkServices: () => calls.push('link'),
    };
    const listeners = {
      open: (spec: ListenerSpec, { name }: Service) => calls.push(`open ${listenKey(spec)} ${name}`),
      rebind: (spec: ListenerSpec, { name }: Service) => calls.push(`rebind ${listenKey(spec)} ${name}`),
      close: (spec: ListenerSpec) => calls.push(`close ${listenKey(spec)}`),
    };
    const schedules = {
      set: ({ name }: Service) => calls.push(`schedule ${name}`),
      clear: (name: string) => calls.push(`unschedule ${name}`),
    };
    const windows = { close: (name: string) => calls.push(`close window of ${name}`), follow() {} };
    reconciler = new Reconciler({
      lifecycle: lifecycle as unknown as Lifecycle,
      listeners: listeners as unknown as ListenerSet,
      schedules: schedules as unknown as ScheduleSet,
      windows: windows as unknown as CronWindows,
      awakeWindows: { close() {}, follow() {} } as unknown as AwakeWindows,
    });
  });

  const db = aService({ listeners: [aListener({ port: 1 })] });
  const web = aService({ name: 'web', listeners: [aListener({ port: 2 })] });

  test('has the empty table in force at first', () => {
    expect(reconciler.current).toBe(EMPTY_TABLE);
    expect(reconciler.holders.size).toBe(0);
  });

  test('carries the changes out in the order of the plan, and returns them', () => {
    const plan = reconciler.apply(aTable([db, web]));
    expect(plan.map(({ kind }) => kind)).toEqual([
      'add-service',
      'add-service',
      'open-listener',
      'open-listener',
    ]);
    expect(calls).toEqual(['unlink', 'add db', 'add web', 'open tcp/*:1 db', 'open tcp/*:2 web', 'link']);
  });

  test('touches nothing when an equal table comes', () => {
    reconciler.apply(aTable([db, web]));
    calls = [];
    expect(reconciler.apply(aTable([structuredClone(db), web]))).toEqual([]);
    expect(calls).toEqual([]);
  });

  test('touches only what has changed when one service is edited', () => {
    reconciler.apply(aTable([db, web]));
    calls = [];
    reconciler.apply(aTable([db, { ...web, allowList: ['10.0.0.0/8'] }]));
    expect(calls).toEqual(['unlink', 'update web from web', 'rebind tcp/*:2 web', 'link']);
  });

  test('moves one schedule when an expression changes in the file, and one when it changes in a label', () => {
    const tableWith = ({ file, label }: { readonly file: string; readonly label: string }) =>
      tableOf({
        text: `services: { db: { ports: ["1:1"], cron_start: "${file}" } }`,
        labelled: [labelsOf('web', { ports: '2:2', 'cron-stop': label })],
      });
    reconciler.apply(tableWith({ file: '0 8 * * *', label: '0 18 * * *' }));
    calls = [];
    reconciler.apply(tableWith({ file: '0 9 * * *', label: '0 18 * * *' }));
    expect(calls).toEqual(['unlink', 'update db from db', 'schedule db', 'link']);
    calls = [];
    reconciler.apply(tableWith({ file: '0 9 * * *', label: '0 19 * * *' }));
    expect(calls).toEqual(['unlink', 'update web from web', 'schedule web', 'link']);
  });

  test('removes a service after its listeners', () => {
    reconciler.apply(aTable([db, web]));
    calls = [];
    reconciler.apply(aTable([web]));
    expect(calls).toEqual(['unlink', 'close tcp/*:1', 'remove db', 'link']);
  });

  test('sets and clears schedules, and ends the window of one that is cleared', () => {
    const scheduled = { ...db, cronStart: '0 8 * * *' };
    reconciler.apply(aTable([scheduled]));
    expect(calls).toEqual(['unlink', 'add db', 'open tcp/*:1 db', 'schedule db', 'link']);
    calls = [];
    reconciler.apply(aTable([db]));
    expect(calls).toEqual(['unlink', 'update db from db', 'close window of db', 'unschedule db', 'link']);
  });

  test('names the holders of the table in force', () => {
    reconciler.apply(aTable([db, web]));
    expect([...reconciler.holders]).toEqual([
      ['tcp/*:1', 'db'],
      ['tcp/*:2', 'web'],
    ]);
    reconciler.apply(aTable([web]));
    expect([...reconciler.holders]).toEqual([['tcp/*:2', 'web']]);
  });
});
