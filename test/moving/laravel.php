<?php
/** A small application on Laravel's own classes, for PHP's built-in server: signs in at /login, and shows who that is at /. */
declare(strict_types=1);

use Illuminate\Cookie\Middleware\EncryptCookies;
use Illuminate\Encryption\Encrypter;
use Illuminate\Filesystem\Filesystem;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Session\FileSessionHandler;
use Illuminate\Session\Store;
use Symfony\Component\HttpFoundation\Cookie;

// Those of Debian's packages php-illuminate-*.
foreach (['Session', 'Cookie', 'Encryption', 'Filesystem', 'Http'] as $package) require_once "Illuminate/$package/autoload.php";

const COOKIE = 'laravel_session';
const MINUTES = 120;

$encrypter = new Encrypter(base64_decode(getenv('APP_KEY')), 'AES-256-CBC');
$session = new Store(COOKIE, new FileSessionHandler(new Filesystem(), getenv('FILES'), MINUTES));

$answer = (new EncryptCookies($encrypter))->handle(Request::capture(), function (Request $request) use ($session): Response {
    $session->setId($request->cookies->get(COOKIE));
    $session->start();
    if ($request->path() === 'login') {
        $session->regenerate(true);
        $session->put('login_web_' . sha1('Illuminate\Auth\SessionGuard'), 7);
        $session->put('user', 'Ada Löwe');
        $session->put('cart', ['lamp']);
        $session->flash('message', 'Welcome back.');
    }
    $body = (string) $session->get('user', 'a guest');
    $session->save();
    $response = new Response($body);
    $response->headers->setCookie(Cookie::create(COOKIE, $session->getId(), time() + MINUTES * 60));
    return $response;
});
$answer->send();
