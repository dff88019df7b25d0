export declare function formatFigure(value: number): string;
export declare function formatRatio(ratio: number): string;
