/** Process-wide settings: flag > environment > file > built-in. */
export interface Settings {
  /** Where the status server listens. */
  readonly status: { readonly address: string; readonly port: number } | 'off';
  readonly docker: DockerSettings;
}

export interface DockerSettings {
  /** Path of the engine's socket, or a `tcp://`, `http://`, `https://` or `unix://` URL as in `DOCKER_HOST`. */
  readonly socket: string;
  /** False leaves the labels of every container out. */
  readonly labels: boolean;
  readonly labelPrefix: string;
  /** Join the networks of the containers that are served, when running in a container. */
  readonly joinNetworks: boolean;
}
