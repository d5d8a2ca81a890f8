// The login: exchange the token for a cookie.
import { post } from "./net.js";

const form = document.getElementById("login");
const refused = document.getElementById("refused");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  refused.hidden = true;
  try {
    await post("/login", { token: document.getElementById("token").value });
    location.replace("/");
  } catch (error) {
    refused.textContent = error.message;
    refused.hidden = false;
  }
});
