/** esbuild collects imported styles into `<view>.css`. */
declare module "*.css";
