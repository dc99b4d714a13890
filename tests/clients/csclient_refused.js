// What csclient (npm) shows of a refused deploy at each endpoint: a line each.
'use strict';

const Client = require(process.env.CSCLIENT);
const [params, ...endpoints] = process.argv.slice(2);
const { key, secret, call } = JSON.parse(params);

const tried = (endpoint) =>
  new Promise((done) => {
    const cloud = new Client({ baseUrl: `${endpoint}?`, apiKey: key, secretKey: secret });
    cloud.executeAsync('deployVirtualMachine', { ...call }, (error) => {
      done(error ? JSON.stringify(`${error.name} ${error.code}: ${error.message}`) : 'nothing was refused');
    });
  });

async function all() {
  for (const endpoint of endpoints) {
    console.log(await tried(endpoint));
  }
}

all();
