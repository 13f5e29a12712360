// The library's files, by their paths in the project.

import { LIBRARY, SHADERS } from "./protocol";

/** A file's name in few words: without the folder that all are in. */
export const nameOf = (path: string): string => path.replace(LIBRARY, "").replace(SHADERS, "");
