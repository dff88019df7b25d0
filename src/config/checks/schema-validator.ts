/**
 * The schema as a function. The shipped form has another file in the place of this one: the function itself, generated
 * when it was built (scripts/bundle/schema-validator.mjs), so that neither the schema nor its compiler is loaded.
 */
import { createRequire } from 'node:module';
import { Ajv, type AnySchemaObject, type ErrorObject } from 'ajv';
import { SCHEMA_OPTIONS } from './schema-options.ts';

/** True where a file fits; where it doesn't, `errors` says why until the next call. */
export interface SchemaValidator {
  (root: unknown): boolean;
  readonly errors?: readonly ErrorObject[] | null;
}

/** The schema as it is shipped; loaded as a module is, because it is part of the program. */
export function loadSchema(): AnySchemaObject {
  return createRequire(import.meta.url)('../../../schema/lazy-proxy.schema.json') as AnySchemaObject;
}

/** Compiles the schema (some 70 ms). */
export function createSchemaValidator(): SchemaValidator {
  return new Ajv(SCHEMA_OPTIONS).compile(loadSchema());
}
