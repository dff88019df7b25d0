import type { WorkloadRef } from '../../model/workload.ts';
import { FIELD_NAMES, type FieldName, fieldKeys, hasEffect } from '../fields.ts';
import { type Finding, warning } from './finding.ts';
import { isWorkloadUnknown, type ReadService } from '../read-services.ts';
import { WORKLOAD_FIELDS, workloadNoun } from '../rules/workload-of.ts';

const NAMING_FIELDS: ReadonlySet<FieldName> = new Set(WORKLOAD_FIELDS);
const UDP_OPTIONS = FIELD_NAMES.filter((field) => field.startsWith('udp_') && field !== 'udp_ports');

/** Why a field does nothing for a workload, in words that follow the field's name. */
export function describeUselessness(field: FieldName, ref: WorkloadRef): string {
  const without = `has no effect on a ${workloadNoun(ref)}`;
  switch (field) {
    case 'cwd':
    case 'env':
      return 'has no effect without command';
    case 'service_name':
    case 'upstream':
    case 'allow_data_loss':
      return `${without}; it is for Deployments and StatefulSets`;
    case 'stop_timeout':
      return ref.kind === 'swarm'
        ? `${without}; the stop_grace_period of its containers counts`
        : `${without}; the terminationGracePeriodSeconds of its pods counts`;
    case 'ignore_labels':
      return `${without}, which has no labels`;
    default:
      return without;
  }
}

/** Options of a service that do nothing for what it stands for. */
export function findUselessOptions(service: ReadService): readonly Finding[] {
  if (isWorkloadUnknown(service)) return [];
  const { raw, ref } = service;
  const has = (key: string) => Object.hasOwn(raw, key);
  const ofOtherKinds = FIELD_NAMES.filter((field) => !hasEffect(field, ref.kind)).flatMap((field) =>
    fieldKeys(field)
      // A key that names another workload is a mistake of its own.
      .filter((key) => has(key) && !NAMING_FIELDS.has(field))
      .map((key) => useless(service, key, describeUselessness(field, ref))),
  );
  return [...ofOtherKinds, ...findUselessUdpOptions(service, has)];
}

function findUselessUdpOptions(service: ReadService, has: (key: string) => boolean): readonly Finding[] {
  // Where neither ports nor labels are the file's alone, a label may still bring the UDP port.
  const labelsMayAddPorts =
    !has('ports') && service.ref.kind !== 'process' && service.raw['ignore_labels'] !== true;
  if (has('udp_ports') || labelsMayAddPorts) return [];
  const keys = UDP_OPTIONS.flatMap((field) => [field, `${field}_secs`]).filter(has);
  return keys.map((key) => useless(service, key, 'has no effect without udp_ports'));
}

function useless({ path }: ReadService, key: string, message: string): Finding {
  return warning([...path, key], { code: 'option-without-effect', at: 'key', message });
}
