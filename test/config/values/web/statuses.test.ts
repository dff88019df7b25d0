import { expect, test } from 'vitest';
import { parseStatuses } from '../../../../src/config/values/web/statuses.ts';
import { formatStatuses } from '../../../../src/model/text/format-statuses.ts';

test.each([
  ['200-399,401', '200-399,401'],
  [' 200 , 204-204 ', '200,204'],
  [401, '401'],
])('parseStatuses reads %o', (raw, text) => {
  const parsed = parseStatuses(raw);
  expect(parsed.ok && formatStatuses(parsed.value)).toBe(text);
});

test.each(['', '99', '600', '399-200', '200-', '2xx', 99, 200.5, true, null, [], ['200', 99], [null]])(
  'parseStatuses refuses %o with what would be right',
  (raw) => {
    expect(parseStatuses(raw)).toMatchObject({ ok: false });
  },
);
