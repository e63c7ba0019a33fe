// What a developer writes by hand on Node in an hour: takes posts, numbers them, keeps nothing.
'use strict';
const http = require('http');
let last = 0;

const server = http.createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (text) => (body += text));
  request.on('end', () => {
    let message;
    try {
      message = JSON.parse(body);
    } catch {
      response.writeHead(400);
      return response.end();
    }
    const answer = JSON.stringify({ id: ++last, content: message.content });
    response.writeHead(201, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(answer) });
    response.end(answer);
  });
});
server.keepAliveTimeout = 600000;
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
