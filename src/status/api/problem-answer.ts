import { type Answer, createAnswer } from '../answer.ts';

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  421: 'Misdirected Request',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** A refusal, to be thrown by whoever answers. */
export class ApiRefusal extends Error {
  readonly status: number;
  /** Further members of the answer, and its headers. */
  readonly members: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    detail: string,
    more: {
      readonly members?: Readonly<Record<string, unknown>>;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(detail);
    this.status = status;
    this.members = more.members ?? {};
    this.headers = more.headers ?? {};
  }
}

/** What is answered to a request that is refused or failed: RFC 9457. */
export function problemAnswer({ status, message, members, headers }: ApiRefusal): Answer {
  const problem = {
    type: 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    detail: message,
    ...members,
  };
  const answer = createAnswer(status, {
    type: 'application/problem+json',
    body: `${JSON.stringify(problem, undefined, 2)}\n`,
  });
  return { ...answer, headers: { ...answer.headers, ...headers } };
}
