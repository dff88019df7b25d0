/** The buttons of a service. */
import type { ServiceAnswer } from '../../status/api/answers.ts';
import { lookOf, stillRuns } from './describe-service.ts';
import type { Steerer } from '../data/steering.ts';

export function ActionButtons({
  service,
  steerer,
  isBusy,
  canSteer,
}: {
  readonly service: ServiceAnswer;
  readonly steerer: Steerer;
  readonly isBusy: boolean;
  readonly canSteer: boolean;
}) {
  const { name, why, state } = service;
  const look = lookOf(service);
  if (!canSteer || state === 'missing' || look === 'unknown') return <div class="act" />;
  const isUp = look === 'awake' || look === 'waking';
  const canSleep = isUp || stillRuns(service);
  const isHeld = why.kept_by.includes('hold');
  const button = (text: string, act: () => void) => (
    <button type="button" disabled={isBusy} aria-label={`${text} ${name}`} onClick={act}>
      {text}
    </button>
  );
  return (
    <div class="act">
      {!isUp && button('Wake', () => void steerer.run({ name, action: 'wake' }))}
      {isHeld
        ? button('Release', () => void steerer.run({ name, action: 'release' }))
        : button('Hold', () => steerer.ask({ kind: 'hold', name }))}
      {canSleep && button('Sleep', () => void steerer.run({ name, action: 'sleep' }))}
    </div>
  );
}
