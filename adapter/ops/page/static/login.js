// The login: exchange the token for a cookie.
import { t, translatePage } from "./i18n.js";
import { post } from "./net.js";

translatePage();
const form = document.getElementById("login");
const refused = document.getElementById("refused");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  refused.hidden = true;
  try {
    await post("/login", { token: document.getElementById("token").value });
    location.replace("/");
  } catch (error) {
    refused.textContent = t(error.message);
    refused.hidden = false;
  }
});
