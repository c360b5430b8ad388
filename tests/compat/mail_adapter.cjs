// A mail adapter for Parse Server that posts each mail to an address, as this server's module `http` does.
module.exports = class {
  constructor({ url }) {
    for (const method of ["sendVerificationEmail", "sendPasswordResetEmail", "sendMail"]) {
      this[method] = ({ appName, link, user }) =>
        fetch(url, { method: "POST", body: JSON.stringify({ method, options: { appName, link, user: user._toFullJSON() } }) });
    }
  }
};
