/** Whether the settings of the status server that say who may do what go together. */
import type { Environment } from '../environment.ts';
import { type SettingName, type SettingsDraft, TOKEN_VARIABLE } from '../settings.ts';
import { type Finding, keyError } from './finding.ts';

/** @param options.environment what it says of settings; a token there counts as one of the two that can't be. */
export function checkStatusAccess(
  settings: SettingsDraft,
  { environment }: { readonly environment: Pick<Environment, 'settings'> },
): readonly Finding[] {
  const isSet = (name: SettingName) => settings[name]?.value !== undefined;
  const variable = environment.settings['status.token']?.value === undefined ? [] : [TOKEN_VARIABLE];
  const keys = (['status.token', 'status.token_file'] as const).filter(isSet);
  const places = [...variable, ...keys];
  const findings: Finding[] = [];
  const [first, second] = places;
  const last = keys.at(-1);
  if (second !== undefined && last !== undefined) {
    const others = places.filter((place) => place !== last).join(' and ');
    findings.push(
      keyError(
        last.split('.'),
        'exclusive-keys',
        `${others} ${places.length > 2 ? 'are' : 'is'} set, too; keep one of them`,
      ),
    );
  }
  if (settings['status.protect']?.value === true && first === undefined) {
    const message = `true asks everybody for a token, and there is none: set status.token, status.token_file or ${TOKEN_VARIABLE}`;
    findings.push({ ...keyError(['status', 'protect'], 'exclusive-keys', message), at: 'value' });
  }
  return findings;
}
