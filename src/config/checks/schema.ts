import type { Path } from '../yaml/path.ts';
import { findSchemaValidator, type SchemaValidator } from './schema-validator.ts';

type SchemaError = NonNullable<SchemaValidator['errors']>[number];

/** One violation of the schema. */
export interface SchemaIssue {
  readonly path: Path;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** The value at the path. */
  readonly value: unknown;
}

/** Checks a whole file against the schema; all violations at once. */
export function checkSchema(root: unknown): readonly SchemaIssue[] {
  const validate = findSchemaValidator();
  if (validate(root)) return [];
  // The library reports a bad key twice: by the rule that it breaks, and as a bad key. The second is kept.
  const errors = (validate.errors ?? []).filter(
    ({ keyword, propertyName }) => propertyName === undefined || keyword === 'propertyNames',
  );
  return errors.map((error) => toIssue(error, root));
}

function toIssue({ instancePath, keyword, params }: SchemaError, root: unknown): SchemaIssue {
  const steps = instancePath.split('/').slice(1);
  const names = steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return { ...findPlace(names, root), keyword, params };
}

/** A pointer's steps are all text; those into a list become numbers. */
function findPlace(steps: readonly string[], root: unknown): Pick<SchemaIssue, 'path' | 'value'> {
  let value = root;
  const path = steps.map((step) => {
    const index = Array.isArray(value) ? Number(step) : step;
    value = (value as Record<string | number, unknown> | undefined)?.[index];
    return index;
  });
  return { path, value };
}
