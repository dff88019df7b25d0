/** What an engine says of a container: the fields of API 1.56, as in `test/backends/docker/fixtures/`. Pure. */

const NETWORK_ID = 'b'.repeat(64);

/** The id of the container at an index. */
export function idOf(index) {
  return `c${index.toString(16).padStart(63, '0')}`;
}

/** An entry of `GET /containers/json`. */
export function describeListed({ index, name, labels, running, health }) {
  return {
    Id: idOf(index),
    Names: [`/${name}`],
    Image: 'sample',
    ImageID: `sha256:${'a'.repeat(64)}`,
    Command: 'serve',
    Created: 1_795_411_551,
    Ports: [],
    Labels: labels,
    State: running ? 'running' : 'exited',
    Status: running ? `Up 2 seconds (${health})` : 'Exited (0) 2 hours ago',
    HostConfig: { NetworkMode: 'n1' },
    NetworkSettings: { Networks: { n1: describeEndpoint(running) } },
    Mounts: [],
    Health: { Status: running ? health : 'none', FailingStreak: 0 },
  };
}

/** The answer of `GET /containers/{id}/json`. */
export function describeInspected({ index, name, labels, running, health }) {
  return {
    Id: idOf(index),
    Name: `/${name}`,
    State: {
      ...{ Status: running ? 'running' : 'exited', Running: running, Paused: false, Restarting: false },
      ...{ OOMKilled: false, Dead: false, Pid: running ? 1_000 + index : 0, ExitCode: 0, Error: '' },
      Health: { Status: health, FailingStreak: 0, Log: [] },
    },
    Config: { Labels: labels, Healthcheck: { Test: ['CMD', 'true'] } },
    HostConfig: { NetworkMode: 'n1' },
    NetworkSettings: { Networks: { n1: describeEndpoint(running) } },
  };
}

function describeEndpoint(running) {
  return {
    ...{ IPAMConfig: null, Links: null, Aliases: null, NetworkID: NETWORK_ID, EndpointID: 'e'.repeat(64) },
    ...{ Gateway: running ? '198.18.64.1' : '', IPAddress: running ? '198.18.64.2' : '' },
    ...{ IPPrefixLen: 24, IPv6Gateway: '', GlobalIPv6Address: '', DriverOpts: null },
  };
}
