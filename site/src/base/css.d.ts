// Style sheets that are imported: esbuild gathers them in main.css.
declare module "*.css";
