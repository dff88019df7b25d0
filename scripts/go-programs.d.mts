export function findGoProgram(name: 'h2spec' | 'traefik'): Promise<string | undefined>;
