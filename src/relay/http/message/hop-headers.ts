/**
 * Which headers belong to one connection and not to the message: they are not forwarded (RFC 9110, 7.6.1). Pure. Headers are
 * flat lists of names and values, as Node's parser hands them on and its writer takes them.
 */

export type RawHeaders = readonly string[];

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization'],
  ...['te', 'transfer-encoding', 'upgrade', 'http2-settings'],
]);

/** Without these a message would be another one: no `Connection` header takes them away. */
const ESSENTIAL: ReadonlySet<string> = new Set([
  ...['host', 'content-length', 'content-type', 'authorization', 'cookie', 'set-cookie'],
  ...['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip'],
]);

/**
 * Names that no trailer may have, since they say how a message is framed, for whom it is, or who sends it (RFC 9110, 6.5.1): what takes
 * trailers for headers would believe a client there what the proxy has taken out of the headers.
 */
const NO_TRAILER =
  /^(x[-_]forwarded[-_].*|x[-_]real[-_]ip|forwarded|x[-_]api[-_]key|authorization|cookie|set-cookie|host|expect|trailer|content-(length|type|encoding|range))$/;

/** Whether a header ends here. @param name in lower case. @param named what `Connection` names, in lower case. */
export function isHopByHop(name: string, named: readonly string[]): boolean {
  return HOP_BY_HOP.has(name) || (named.length > 0 && named.includes(name) && !ESSENTIAL.has(name));
}

/** What `Connection` names, in lower case. */
export function connectionTokens(headers: RawHeaders): readonly string[] {
  let tokens: string[] | undefined;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index];
    if (name?.length !== 10 || name.toLowerCase() !== 'connection') continue;
    tokens = [...(tokens ?? []), ...splitList(headers[index + 1] ?? '')];
  }
  return tokens ?? [];
}

/** The elements of a comma-separated list, in lower case, without blanks. */
export function splitList(value: string): string[] {
  // Most lists have one element.
  if (!value.includes(',')) return value.trim() === '' ? [] : [value.trim().toLowerCase()];
  const elements = value.split(',').map((element) => element.trim().toLowerCase());
  return elements.filter((element) => element !== '');
}

/** What is forwarded of an answer's headers. */
export function answerHeaders(headers: RawHeaders): string[] {
  const named = connectionTokens(headers);
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const [name = '', value = ''] = [headers[index], headers[index + 1]];
    if (!isHopByHop(name.toLowerCase(), named)) kept.push(name, value);
  }
  return kept;
}

/** What is forwarded of the trailers behind a body. */
export function trailersOf(trailers: RawHeaders): string[] {
  const kept = answerHeaders(trailers);
  return kept.filter((_, index) => !NO_TRAILER.test(kept[index - (index % 2)]?.toLowerCase() ?? ''));
}
