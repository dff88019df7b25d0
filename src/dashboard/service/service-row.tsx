/** One service in the list. */
import { Component } from 'preact';
import { ActionButtons } from './action-buttons.tsx';
import type { ServiceAnswer } from '../../status/api/answers.ts';
import { describeNext, describeWhy, listOwnPorts, lookOf } from './describe-service.ts';
import { DayBar } from './day-bar.tsx';
import { formatBytes } from '../format.ts';
import { addressOf, rowId } from '../data/hooks.ts';
import { Foreign, NextStep, PortLink, StateBadge, UrlLink } from '../parts.tsx';
import type { Steerer } from '../data/steering.ts';

interface Props {
  readonly service: ServiceAnswer;
  readonly memory: number | undefined;
  readonly isChosen: boolean;
  /** Changes when ages in words may have become wrong. */
  readonly age: number;
  readonly steerer: Steerer;
  readonly isBusy: boolean;
  /** Whether somebody can wake it here at all. */
  readonly canSteer: boolean;
}

/** Ports that are shown; a range may have a thousand. */
const MAX_PORTS = 4;

export class ServiceRow extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    const { service, memory, isChosen, age, isBusy, canSteer } = this.props;
    const isSame = next.service === service && next.memory === memory && next.isBusy === isBusy;
    if (next.canSteer !== canSteer) return true;
    return !isSame || next.isChosen !== isChosen || next.age !== age;
  }

  override render({ service, memory, isChosen, steerer, isBusy, canSteer }: Props) {
    const why = describeWhy(service);
    const { urls = [], project } = service;
    const isFailed = lookOf(service) === 'failed';
    const ports = [
      ...urls.map((url) => <UrlLink key={url} url={url} isFailed={isFailed} />),
      ...listOwnPorts(service).map((listener) => (
        <PortLink
          key={`${listener.protocol}${listener.address}:${listener.port}`}
          listener={listener}
          isFailed={isFailed}
        />
      )),
    ];
    return (
      <li class={isChosen ? 'service chosen' : 'service'}>
        <div class="name">
          <div class="name-line">
            <a
              id={rowId(service.name)}
              class="open"
              href={addressOf(service.name)}
              aria-current={isChosen ? 'true' : undefined}
            >
              <Foreign text={service.name} />
            </a>
            <span class="ports">
              {ports.slice(0, MAX_PORTS)}
              {ports.length > MAX_PORTS && <span class="port">+{ports.length - MAX_PORTS}</span>}
            </span>
          </div>
          <small>
            <Foreign text={service.workload} />
            {project !== undefined && (
              <>
                {' · '}
                <Foreign text={project} />
              </>
            )}
          </small>
        </div>
        <div class="why">
          <StateBadge service={service} /> <Foreign text={why.first} />
          {why.second !== undefined && (
            <small>
              <Foreign text={why.second} />
            </small>
          )}
        </div>
        <div class="next">
          <NextStep
            next={describeNext(service)}
            more={memory !== undefined && service.life === 'awake' ? ` · ${formatBytes(memory)}` : ''}
          />
        </div>
        <ActionButtons service={service} steerer={steerer} isBusy={isBusy} canSteer={canSteer} />
        {service.day !== undefined && <DayBar day={service.day} />}
      </li>
    );
  }
}
