import { describe, expect, test } from 'vitest';
import type { ServiceTable } from '../../src/model/table.ts';
import { labelsOf, serviceOf, tableOf } from '../support/builders.ts';

const TEXT = `services:
  web-plain: { container: web, ports: ["81:81"], idle_timeout: 5m, cron_stop: "0 20 * * *" }
  web: { ports: ["80:80"], start_timeout: 9s, block_list: [10.0.0.9] }
`;
const names = (table: ServiceTable) => [...table.entries.keys()];
const originOf = (table: ServiceTable, name: string, field: string) =>
  table.entries.get(name)?.origins[field];

describe('services of one container', () => {
  test('take over from each other what is the container’s, and keep their own of what is not', () => {
    const table = tableOf({ text: TEXT });
    const [web, plain] = ['web', 'web-plain'].map((name) => serviceOf(table, name));
    const shared = { idleTimeoutMs: 300_000, startTimeoutMs: 9_000, cronStop: '0 20 * * *' };
    expect(web).toMatchObject({ ...shared, blockList: ['10.0.0.9'] });
    expect(plain).toMatchObject({ ...shared, blockList: [] });
    expect(web?.workload).toEqual(plain?.workload);
    expect(originOf(table, 'web', 'idle_timeout')).toMatchObject({ kind: 'file', line: 2 });
    expect(originOf(table, 'web-plain', 'start_timeout')).toMatchObject({ kind: 'file', line: 3 });
    expect(table.problems).toEqual([]);
  });

  test('let the main one have the ports of its labels, and each of them what may keep somebody out', () => {
    const labels = {
      ...{ ports: '90:90', hosts: 'web.example.com', tls: 'true', 'wake-on': 'data' },
      ...{ 'allow-list': '192.168.0.0/16', 'idle-timeout': '7m', 'stop-timeout': '3s' },
    };
    const text = TEXT.replace('ports: ["80:80"], ', '');
    const table = tableOf({ text, labelled: [labelsOf('web', labels)] });
    const guarded = { allowList: ['192.168.0.0/16'], stopTimeoutMs: 3_000, idleTimeoutMs: 300_000 };
    const [web, plain] = ['web', 'web-plain'].map((name) => serviceOf(table, name));
    expect(web).toMatchObject({ ...guarded, wakeOn: 'data', tls: { kind: 'self-signed' } });
    expect(web?.web.hosts).toEqual(['web.example.com']);
    expect(web?.listeners.map(({ port }) => port)).toEqual([90]);
    expect(plain).toMatchObject({ ...guarded, wakeOn: 'connect', tls: undefined });
    expect(plain?.web.hosts).toEqual([]);
    expect(plain?.listeners.map(({ port }) => port)).toEqual([81]);
  });

  test('give the ports of labels to the first by name where none has the name of the container', () => {
    const text = 'services:\n  c: {container: web}\n  b: {container: web, ports: ["81:81"]}\n';
    const labelled = [labelsOf('web', { 'udp-ports': '53:53', 'cron-start': '0 8 * * *' })];
    const table = tableOf({ text, labelled });
    expect(names(table)).toEqual(['b', 'c']);
    expect(serviceOf(table, 'b').listeners.map(({ port }) => port)).toEqual([81, 53]);
    expect(serviceOf(table, 'c')).toMatchObject({ listeners: [], cronStart: '0 8 * * *' });
  });

  test('do without labels as soon as one of them ignores them', () => {
    const text = TEXT.replace('start_timeout: 9s', 'ignore_labels: true');
    const table = tableOf({ text, labelled: [labelsOf('web', { 'idle-timeout': '7m', ports: '90:90' })] });
    expect(names(table)).toEqual(['web', 'web-plain']);
    expect(serviceOf(table, 'web').listeners.map(({ port }) => port)).toEqual([80]);
  });

  test('are left out together where their labels are refused', () => {
    const table = tableOf({ text: TEXT, labelled: [labelsOf('web', { 'allow-list': 'nonsense' })] });
    expect(names(table)).toEqual([]);
    expect(table.problems.map(({ code }) => code)).toEqual(['invalid-address']);
  });

  test('are told once of a label that does nothing', () => {
    const labels = { 'cron-start': '0 8 * * *', availability: 'manual' };
    const text = TEXT.replace(', cron_stop: "0 20 * * *"', '');
    const { problems } = tableOf({ text, labelled: [labelsOf('web', labels)] });
    expect(problems.map(({ message }) => message)).toEqual([
      'cron-start: has no effect beside availability: manual',
    ]);
  });

  test('close no cycle through hubs and dependants that labels name', () => {
    const text =
      'services:\n  a: {ports: ["1:1"]}\n  b: {container: a, ports: ["2:2"]}\n  c: {dependants: [b]}\n';
    const table = tableOf({ text, labelled: [labelsOf('a', { dependants: 'c' })] });
    const open = tableOf({
      text: text.replace('c: {', 'c: {dependant_of_labels: true, '),
      labelled: [labelsOf('a', { dependants: 'c' })],
    });
    expect(table.problems.map(({ code }) => code)).toEqual(['refused-dependant', 'no-listener']);
    expect(open.problems).toMatchObject([{ code: 'dependency-cycle' }]);
    expect([serviceOf(open, 'a').dependants, serviceOf(open, 'c').dependants]).toEqual([['c'], []]);
  });
});
