export function loadProduct(folder: string, extension?: string): Promise<Readonly<Record<string, unknown>>>;
