console.log(process.env.GREETING as string);
