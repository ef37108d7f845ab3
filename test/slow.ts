/**
 * Options of a test that takes long while a quicker one covers the heart of it: `npm test` leaves it out, `npm run test:all`,
 * its tier by name and its file by itself run it.
 */
export const slow = { tags: ["slow"] };
