// Fails on purpose, to show what that looks like.
console.error('OperationalError: could not translate host name "db" to address');
process.exit(3);
