import { createRequire } from 'node:module';
import { Ajv, type AnySchemaObject, type ErrorObject } from 'ajv';
import type { Path } from './path.ts';

/** One violation of the schema. */
export interface SchemaIssue {
  readonly path: Path;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** The value at the path. */
  readonly value: unknown;
}

/** Checks a whole file against the schema; all violations at once. */
export type CheckSchema = (root: unknown) => readonly SchemaIssue[];

/** The schema as it is shipped; loaded as a module is, because it is part of the program. */
export function loadSchema(): AnySchemaObject {
  return createRequire(import.meta.url)('../../schema/lazy-proxy.schema.json') as AnySchemaObject;
}

/** A checker that loads and compiles the schema at its first call (some 70 ms) and keeps it. */
export function createSchemaCheck(): CheckSchema {
  let validate: ReturnType<Ajv['compile']> | undefined;
  return (root) => {
    validate ??= new Ajv({ allErrors: true, allowUnionTypes: true, verbose: true }).compile(loadSchema());
    if (validate(root)) return [];
    // A bad key is reported twice: once by the rule it breaks, once as a bad key.
    const errors = (validate.errors ?? []).filter(
      ({ keyword, propertyName }) => propertyName === undefined || keyword === 'propertyNames',
    );
    return errors.map((error) => toIssue(error, root));
  };
}

function toIssue(error: ErrorObject, root: unknown): SchemaIssue {
  const steps = error.instancePath.split('/').slice(1);
  return {
    path: toPath(
      steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')),
      root,
    ),
    keyword: error.keyword,
    params: error.params,
    value: error.data,
  };
}

/** A pointer's steps are all text; those into a list become numbers. */
function toPath(steps: readonly string[], root: unknown): Path {
  let value = root;
  return steps.map((step) => {
    const index = Array.isArray(value) ? Number(step) : step;
    value = (value as Record<string | number, unknown> | undefined)?.[index];
    return index;
  });
}
