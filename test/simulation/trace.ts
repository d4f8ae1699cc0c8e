/** Says what happened, to whoever looks at one seed; the text is made only then. */
export type Tell = (who: string, what: () => string) => void;
