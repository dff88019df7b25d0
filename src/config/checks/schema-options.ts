/**
 * How the schema is compiled: a checkout compiles it when it runs, the shipped form when it is built. Without the library's
 * messages, which nobody reads and which are a tenth of the code: schema-findings.ts has the words.
 */
export const SCHEMA_OPTIONS = { allErrors: true, allowUnionTypes: true, messages: false } as const;
