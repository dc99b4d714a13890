// A customer's day with csclient (npm): one JSON line a step.
'use strict';

const Client = require(process.env.CSCLIENT);
const [zone, template, small, disk, offering, name] = process.argv.slice(2);
const cloud = new Client({
  baseUrl: `${process.env.CLOUDSTACK_ENDPOINT}?`,
  apiKey: process.env.CLOUDSTACK_KEY,
  secretKey: process.env.CLOUDSTACK_SECRET,
  pollingTime: 200,
});
const run = (how) => (command, params) =>
  new Promise((done, failed) => {
    cloud[how](command, params, (error, answer) => (error ? failed(error) : done(answer)));
  });
const sync = run('executeSync');
const job = (command, params) => run('executeAsync')(command, params).then((it) => it.jobresult);
const tell = (step, thing, ...states) => {
  const fields = Object.keys(thing).sort();
  console.log(JSON.stringify({ step, fields, states: states.map((it) => thing[it]) }));
};

async function day() {
  const made = await sync('createNetwork', {
    name, displaytext: name, zoneid: zone, networkofferingid: offering,
  });
  const network = made.createnetworkresponse.network;
  tell('network', network);
  const { virtualmachine: vm } = await job('deployVirtualMachine', {
    zoneid: zone, templateid: template, serviceofferingid: small, networkids: network.id, name,
  });
  tell('deploy', vm, 'state');
  tell('stop', (await job('stopVirtualMachine', { id: vm.id })).virtualmachine, 'state');
  tell('start', (await job('startVirtualMachine', { id: vm.id })).virtualmachine, 'state');
  const { volume } = await job('createVolume', { name, zoneid: zone, diskofferingid: disk });
  tell('volume', volume, 'state', 'type');
  const { ipaddress } = await job('associateIpAddress', { networkid: network.id });
  tell('address', ipaddress, 'state');
  try {
    await sync('deployVirtualMachine', { zoneid: zone, templateid: template });
    console.log(JSON.stringify({ step: 'refused', text: '' }));
  } catch (refused) {
    console.log(JSON.stringify({ step: 'refused', text: refused.message }));
  }
  await sync('deleteVolume', { id: volume.id });
  await job('disassociateIpAddress', { id: ipaddress.id });
  tell('destroy', (await job('destroyVirtualMachine', { id: vm.id })).virtualmachine, 'state');
}

day().catch((fault) => {
  console.error(fault);
  process.exit(1);
});
