/** A request as it is written to an upstream. Pure. */
import type { RawHeaders } from './hop-headers.ts';

/** What no value may have: it would end its line for some, or is of another alphabet than that in which it is sent. */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The head of a request, as Latin-1. @throws where it can't be written as what it is. */
export function formatRequest(request: {
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
}): string {
  const { method, target, headers } = request;
  if (!TOKEN.test(method) || target === '' || /[^\x21-\x7e\x80-\xff]/.test(target))
    throw new Error(`${JSON.stringify(`${method} ${target}`)} can't be written as a request line`);
  return `${method} ${target} HTTP/1.1\r\n${formatFields(headers)}\r\n`;
}

/** Headers or trailers, each as a line. @throws where one can't be written as what it is. */
export function formatFields(headers: RawHeaders): string {
  let text = '';
  for (let index = 0; index < headers.length; index += 2) {
    const [name = '', value = ''] = [headers[index], headers[index + 1]];
    if (!TOKEN.test(name) || FORBIDDEN.test(value))
      throw new Error(`the header ${JSON.stringify(name)} can't be written as what it is`);
    text += `${name}: ${value}\r\n`;
  }
  return text;
}
