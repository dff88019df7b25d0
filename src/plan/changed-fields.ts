import { FIELD_NAMES, type FieldName, fieldSpec } from '../config/fields.ts';
import { isWorkloadField } from '../config/rules/workload-of.ts';
import { isSameData } from '../model/same-data.ts';
import type { Service } from '../model/service.ts';

/** The fields of the file in which two versions of a service differ, in the order of the alphabet. Pure. */
export function findChangedFields(before: Service, after: Service): readonly string[] {
  const isChanged = (field: FieldName): boolean => {
    const { of, kinds } = fieldSpec(field);
    const value = of(after);
    // If the workload is another one now, its name says enough.
    if (isWorkloadField(field)) return value !== undefined && !isSameData(of(before), value);
    const isComparable = kinds?.includes(before.workload.kind) ?? true;
    return isComparable && !isSameData(of(before), value);
  };
  return FIELD_NAMES.filter(isChanged).toSorted();
}
